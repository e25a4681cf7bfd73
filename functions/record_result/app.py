from rune_common.tasks import record_result
from rune_common.tasks.lambda_entry import task_function

handler = task_function(record_result.task)
