"""What is sold: pool, tenants, plans, leases, meter, rating, invoices. Exact; append-only; its own file."""
