from rune_common.tasks import start_agent
from rune_common.tasks.lambda_entry import task_function

handler = task_function(start_agent.task)
