from rune_common.tasks import reap_backends
from rune_common.tasks.lambda_entry import task_function

handler = task_function(reap_backends.task)
