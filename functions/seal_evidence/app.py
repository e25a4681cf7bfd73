from rune_common.tasks import seal_evidence
from rune_common.tasks.lambda_entry import stream_function

handler = stream_function(seal_evidence.consume)
