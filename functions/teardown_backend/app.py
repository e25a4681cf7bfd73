from rune_common.tasks import teardown_backend
from rune_common.tasks.lambda_entry import task_function

handler = task_function(teardown_backend.task)
