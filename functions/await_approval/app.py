from rune_common.tasks import await_approval
from rune_common.tasks.lambda_entry import task_function

handler = task_function(await_approval.task)
