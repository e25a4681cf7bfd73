from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import create_stream_ticket

handler = http_function(create_stream_ticket.router)
