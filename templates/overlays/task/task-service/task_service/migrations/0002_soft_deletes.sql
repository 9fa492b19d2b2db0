-- What is deleted is hidden, can be brought back for 30 days, and is then purged. `deleted_with` names what it went with:
-- itself, or the project.

ALTER TABLE projects ADD COLUMN deleted_at timestamptz, ADD COLUMN deleted_with uuid;
ALTER TABLE tasks ADD COLUMN deleted_at timestamptz, ADD COLUMN deleted_with uuid;

CREATE INDEX deleted_projects ON projects (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX deleted_tasks ON tasks (deleted_at) WHERE deleted_at IS NOT NULL;
