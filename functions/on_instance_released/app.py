from rune_common.tasks import on_instance_released
from rune_common.tasks.lambda_entry import stream_function

handler = stream_function(on_instance_released.consume)
