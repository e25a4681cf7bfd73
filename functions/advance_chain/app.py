from rune_common.tasks import advance_chain
from rune_common.tasks.lambda_entry import task_function

handler = task_function(advance_chain.task)
