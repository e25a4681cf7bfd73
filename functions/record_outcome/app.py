from rune_common.tasks import record_outcome
from rune_common.tasks.lambda_entry import task_function

handler = task_function(record_outcome.task)
