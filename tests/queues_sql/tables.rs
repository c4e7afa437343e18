//! The tables of systems that can't run here, as they are documented: the columns and indexes that matter.

/// Oban 2.23.
pub(crate) const OBAN: &str = "
create type oban_job_state as enum
    ('available', 'suspended', 'scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled');
create table oban_jobs (
    id bigserial primary key,
    state oban_job_state not null default 'available',
    queue text not null default 'default',
    worker text not null default 'Mailer',
    attempt integer not null default 0,
    max_attempts integer not null default 20,
    priority integer not null default 0,
    inserted_at timestamp not null default timezone('UTC', now()),
    scheduled_at timestamp not null default timezone('UTC', now()),
    attempted_at timestamp);
create index on oban_jobs (state, queue, priority, scheduled_at, id);
";

/// River, of August 2026.
pub(crate) const RIVER: &str = "
create type river_job_state as enum
    ('available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled');
create table river_job (
    id bigserial primary key,
    state river_job_state not null default 'available',
    attempt smallint not null default 0,
    max_attempts smallint not null default 25,
    attempted_at timestamptz,
    created_at timestamptz not null default now(),
    finalized_at timestamptz,
    scheduled_at timestamptz not null default now(),
    priority smallint not null default 1 check (priority between 1 and 4),
    kind text not null default 'mail',
    queue text not null default 'default',
    check ((finalized_at is null) = (state not in ('cancelled', 'completed', 'discarded'))));
create index on river_job (state, queue, priority, scheduled_at, id);
create table river_queue (
    name text primary key,
    created_at timestamptz not null default now(),
    metadata jsonb not null default '{}',
    paused_at timestamptz,
    updated_at timestamptz not null default now());
";

/// GoodJob 4.19.
pub(crate) const GOOD_JOB: &str = "
create table good_jobs (
    id uuid primary key default gen_random_uuid(),
    queue_name text,
    priority integer,
    scheduled_at timestamp(6),
    performed_at timestamp(6),
    finished_at timestamp(6),
    error text,
    created_at timestamp(6) not null default timezone('UTC', now()),
    executions_count integer);
create index on good_jobs (scheduled_at) where finished_at is null;
create index on good_jobs (queue_name, scheduled_at) where finished_at is null;
";

/// Solid Queue 1.5.
pub(crate) const SOLID_QUEUE: &str = "
create table solid_queue_jobs (
    id bigserial primary key,
    queue_name varchar not null,
    priority integer not null default 0,
    scheduled_at timestamp(6),
    finished_at timestamp(6),
    created_at timestamp(6) not null default timezone('UTC', now()));
create table solid_queue_ready_executions (
    id bigserial primary key,
    job_id bigint not null unique references solid_queue_jobs on delete cascade,
    queue_name varchar not null,
    priority integer not null default 0,
    created_at timestamp(6) not null default timezone('UTC', now()));
create index on solid_queue_ready_executions (priority, job_id);
create index on solid_queue_ready_executions (queue_name, priority, job_id);
create table solid_queue_scheduled_executions (
    id bigserial primary key,
    job_id bigint not null unique references solid_queue_jobs on delete cascade,
    queue_name varchar not null,
    priority integer not null default 0,
    scheduled_at timestamp(6) not null,
    created_at timestamp(6) not null default timezone('UTC', now()));
create index on solid_queue_scheduled_executions (scheduled_at, priority, job_id);
create table solid_queue_claimed_executions (
    id bigserial primary key,
    job_id bigint not null unique references solid_queue_jobs on delete cascade,
    process_id bigint,
    created_at timestamp(6) not null default timezone('UTC', now()));
create table solid_queue_pauses (
    id bigserial primary key,
    queue_name varchar not null unique,
    created_at timestamp(6) not null default timezone('UTC', now()));
create table solid_queue_failed_executions (
    id bigserial primary key,
    job_id bigint not null unique references solid_queue_jobs on delete cascade,
    error text,
    created_at timestamp(6) not null default timezone('UTC', now()));
";

/// `delayed_job` 4.1, with Active Record.
pub(crate) const DELAYED_JOB: &str = "
create table delayed_jobs (
    id bigserial primary key,
    priority integer not null default 0,
    attempts integer not null default 0,
    handler text not null default '',
    run_at timestamp(6),
    locked_at timestamp(6),
    failed_at timestamp(6),
    locked_by varchar,
    queue varchar,
    created_at timestamp(6) not null default timezone('UTC', now()));
create index delayed_jobs_priority on delayed_jobs (priority, run_at);
";

/// Que 2.4.
pub(crate) const QUE: &str = "
create table que_jobs (
    priority smallint not null default 100,
    run_at timestamptz not null default now(),
    id bigserial primary key,
    job_class text not null default 'Mail',
    error_count integer not null default 0,
    queue text not null default 'default',
    finished_at timestamptz,
    expired_at timestamptz,
    job_schema_version integer not null);
create index que_poll_idx on que_jobs (job_schema_version, queue, priority, run_at, id)
    where finished_at is null and expired_at is null;
";

/// apalis-postgres 1.0.
pub(crate) const APALIS_POSTGRES: &str = "
create schema apalis;
create table apalis.jobs (
    job bytea not null default '',
    id text primary key default gen_random_uuid(),
    job_type text not null,
    status text not null default 'Pending',
    attempts integer not null default 0,
    max_attempts integer not null default 25,
    run_at timestamptz not null default date_trunc('second', now()),
    lock_at timestamptz,
    lock_by text,
    done_at timestamptz,
    priority integer default 0);
create index on apalis.jobs (job_type, priority desc, run_at)
    where status = 'Pending' or (status = 'Failed' and attempts < max_attempts);
create index on apalis.jobs (lock_by);
";

/// apalis-sqlite 1.0.
pub(crate) const APALIS_SQLITE: &str = "
create table Jobs (
    job blob not null default '',
    id text primary key not null default (lower(hex(randomblob(13)))),
    job_type text not null,
    status text not null default 'Pending',
    attempts integer not null default 0,
    max_attempts integer not null default 25,
    run_at integer not null default (strftime('%s', 'now')),
    lock_at integer,
    lock_by text,
    done_at integer,
    priority integer not null default 0);
create index jobs_by_status on Jobs (job_type, status, run_at);
create index jobs_by_time on Jobs (status, run_at);
create index jobs_pending on Jobs (job_type, priority desc, run_at asc, id asc)
    where status = 'Pending' and lock_by is null;
create index jobs_failed on Jobs (job_type, priority desc, run_at asc, id asc)
    where status = 'Failed' and attempts < max_attempts;
";
