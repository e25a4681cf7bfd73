from rune_common.tasks import acquire_backend
from rune_common.tasks.lambda_entry import task_function

handler = task_function(acquire_backend.task)
