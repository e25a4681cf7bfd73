from rune_common.tasks import on_event_appended
from rune_common.tasks.lambda_entry import events_function

handler = events_function(on_event_appended.consume)
