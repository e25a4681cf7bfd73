from rune_common.tasks import refresh_catalog
from rune_common.tasks.lambda_entry import task_function

handler = task_function(refresh_catalog.task)
