"""Sao chụp giấy tờ (Điều 8): quality of pages, count and order, sticky notes, one PDF/A a component."""
