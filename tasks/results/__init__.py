"""Kết quả bản điện tử (QĐ 1333, Điều 12, 13.4b): made, numbered, signed; read by those who may."""
