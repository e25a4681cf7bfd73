from rune_common.tasks import on_approval_decided
from rune_common.tasks.lambda_entry import stream_function

handler = stream_function(on_approval_decided.consume)
