-- A mark that apps set and read; a row that has it is shown like any other.
alter table charge_points add deleted_at timestamptz;
alter table connectors add deleted_at timestamptz;
grant select (deleted_at), insert (deleted_at), update (deleted_at) on charge_points to evb_viewer;
