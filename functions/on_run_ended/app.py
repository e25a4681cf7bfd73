from rune_common.tasks import on_run_ended
from rune_common.tasks.lambda_entry import stream_function

handler = stream_function(on_run_ended.consume)
