from rune_common.tasks import expire_waits
from rune_common.tasks.lambda_entry import task_function

handler = task_function(expire_waits.task)
