"""What the routes take and give, a module for each resource."""
