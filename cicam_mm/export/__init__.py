from .onnx import check_export, export_onnx

__all__ = [
    'check_export', 'export_onnx'
]
