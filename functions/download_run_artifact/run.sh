#!/bin/sh
# The Web Adapter starts this and forwards requests to it.
PYTHONPATH="/opt/python:$LAMBDA_RUNTIME_DIR" exec python3 "$LAMBDA_TASK_ROOT/app.py"
