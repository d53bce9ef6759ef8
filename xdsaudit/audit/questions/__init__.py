"""Further questions to a judged snapshot: explain a request or a rule, check a batch, status, narrow an audit."""
