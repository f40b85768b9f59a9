"""Bóc tách dữ liệu (Điều 9.2): from read pages to the fields a–l, each with value, confidence, page, box and rule."""
