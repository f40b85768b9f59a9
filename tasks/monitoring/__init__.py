"""Theo dõi: incidents, deadlines, reminders, notices and the audit trail, for who watches over the work."""
