-- What is deleted is hidden, can be brought back for 30 days, and is then purged with its schedules and entries.

ALTER TABLE habits ADD COLUMN deleted_at timestamptz, ADD COLUMN deleted_with uuid;

CREATE INDEX deleted_habits ON habits (deleted_at) WHERE deleted_at IS NOT NULL;
