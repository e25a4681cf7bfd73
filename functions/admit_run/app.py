from rune_common.tasks import admit_run
from rune_common.tasks.lambda_entry import task_function

handler = task_function(admit_run.task)
