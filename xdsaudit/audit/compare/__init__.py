"""Views against the expectation: routes paired by key, fields, order, shadowing, policies. Knows no cause and no stage."""
