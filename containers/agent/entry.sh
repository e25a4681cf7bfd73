#!/bin/sh
# One image, two places: Lambda says so in the environment, everything else is a task.
set -eu
if [ -n "${AWS_LAMBDA_RUNTIME_API:-}" ]; then
    exec /opt/rune/supervisor/bin/python -m awslambdaric rune_agent.entry_lambda.handler
fi
exec /opt/rune/supervisor/bin/python -m rune_agent.entry_task
