"""The demo: two tenants, three agents, the systems their tools reach, and the runs that show them. See docs/demo.md."""
