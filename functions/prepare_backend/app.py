from rune_common.tasks import prepare_backend
from rune_common.tasks.lambda_entry import task_function

handler = task_function(prepare_backend.task)
