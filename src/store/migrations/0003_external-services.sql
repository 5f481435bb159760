-- Names of notifiers in processes of their own, so that after a restart their pushes wait for them.
CREATE TABLE external_services (
    service text PRIMARY KEY,
    registered_at_ms bigint NOT NULL                 -- unix milliseconds, about the last time that it was seen
);
