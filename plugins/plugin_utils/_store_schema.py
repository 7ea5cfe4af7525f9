# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the deployment store, one list of statements for every database."""

from __future__ import annotations

SCHEMA_VERSION = 7

# {identity} is what a database calls a number that it counts up by itself. Times are epoch seconds, structures JSON.
_VERSION_1 = (
    """
    CREATE TABLE applications (
        application_id TEXT PRIMARY KEY,
        application_name TEXT NOT NULL UNIQUE,
        create_time DOUBLE PRECISION NOT NULL
    )
    """,
    """
    CREATE TABLE revisions (
        revision_id TEXT PRIMARY KEY,
        application_id TEXT NOT NULL REFERENCES applications (application_id),
        identity TEXT NOT NULL,
        revision TEXT NOT NULL,
        description TEXT,
        register_time DOUBLE PRECISION NOT NULL,
        first_used_time DOUBLE PRECISION,
        last_used_time DOUBLE PRECISION,
        UNIQUE (application_id, identity)
    )
    """,
    """
    CREATE TABLE deployment_groups (
        deployment_group_id TEXT PRIMARY KEY,
        application_id TEXT NOT NULL REFERENCES applications (application_id),
        deployment_group_name TEXT NOT NULL,
        create_time DOUBLE PRECISION NOT NULL,
        target_revision_id TEXT REFERENCES revisions (revision_id),
        last_successful_deployment_id TEXT,
        last_attempted_deployment_id TEXT
    )
    """,
    "CREATE INDEX deployment_groups_of_application ON deployment_groups (application_id, deployment_group_name)",
    """
    CREATE TABLE instances (
        deployment_group_id TEXT NOT NULL REFERENCES deployment_groups (deployment_group_id),
        instance TEXT NOT NULL,
        healthy BOOLEAN,
        revision_id TEXT REFERENCES revisions (revision_id),
        hooks TEXT,
        last_deployment_id TEXT,
        PRIMARY KEY (deployment_group_id, instance)
    )
    """,
    """
    CREATE TABLE deployments (
        deployment_id TEXT PRIMARY KEY,
        deployment_group_id TEXT NOT NULL REFERENCES deployment_groups (deployment_group_id),
        application_name TEXT NOT NULL,
        deployment_group_name TEXT NOT NULL,
        deployment_config_name TEXT NOT NULL,
        minimum_healthy_hosts_type TEXT NOT NULL,
        minimum_healthy_hosts_value INTEGER NOT NULL,
        revision_id TEXT NOT NULL REFERENCES revisions (revision_id),
        previous_revision_id TEXT REFERENCES revisions (revision_id),
        status TEXT NOT NULL,
        error_code TEXT,
        error_message TEXT,
        create_time DOUBLE PRECISION NOT NULL,
        start_time DOUBLE PRECISION,
        complete_time DOUBLE PRECISION,
        description TEXT,
        creator TEXT NOT NULL,
        file_exists_behavior TEXT NOT NULL,
        ignore_application_stop_failures BOOLEAN NOT NULL,
        update_outdated_instances_only BOOLEAN NOT NULL,
        limited BOOLEAN NOT NULL,
        options TEXT NOT NULL,
        rollback_deployment_id TEXT,
        rollback_triggering_deployment_id TEXT,
        rollback_message TEXT,
        stop_requested_time DOUBLE PRECISION,
        total INTEGER NOT NULL,
        minimum_healthy INTEGER NOT NULL,
        pending INTEGER NOT NULL,
        in_progress INTEGER NOT NULL,
        succeeded INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        skipped INTEGER NOT NULL,
        healthy_available INTEGER NOT NULL,
        unhealthy_pending INTEGER NOT NULL,
        blocked_since DOUBLE PRECISION,
        owner_host TEXT NOT NULL,
        owner_pid BIGINT NOT NULL,
        owner_pid_start TEXT NOT NULL,
        owner_user TEXT NOT NULL,
        owner_run_id TEXT,
        heartbeat DOUBLE PRECISION NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX one_active_deployment ON deployments (deployment_group_id) WHERE complete_time IS NULL",
    "CREATE INDEX deployments_by_time ON deployments (create_time)",
    """
    CREATE TABLE targets (
        deployment_id TEXT NOT NULL REFERENCES deployments (deployment_id),
        instance TEXT NOT NULL,
        position INTEGER NOT NULL,
        status TEXT NOT NULL,
        healthy_before BOOLEAN NOT NULL,
        start_time DOUBLE PRECISION,
        last_updated_at DOUBLE PRECISION NOT NULL,
        message TEXT,
        PRIMARY KEY (deployment_id, instance)
    )
    """,
    "CREATE INDEX targets_by_status ON targets (deployment_id, status, position)",
    """
    CREATE TABLE lifecycle_events (
        deployment_id TEXT NOT NULL,
        instance TEXT NOT NULL,
        lifecycle_event_name TEXT NOT NULL,
        status TEXT NOT NULL,
        start_time DOUBLE PRECISION,
        end_time DOUBLE PRECISION,
        error_code TEXT,
        script_name TEXT,
        message TEXT,
        log_tail TEXT,
        PRIMARY KEY (deployment_id, instance, lifecycle_event_name),
        FOREIGN KEY (deployment_id, instance) REFERENCES targets (deployment_id, instance)
    )
    """,
    """
    CREATE TABLE audit (
        audit_id {identity},
        event_time DOUBLE PRECISION NOT NULL,
        event_name TEXT NOT NULL,
        principal TEXT NOT NULL,
        source TEXT NOT NULL,
        deployment_id TEXT,
        parameters TEXT NOT NULL,
        result TEXT NOT NULL
    )
    """,
)

# Not tied to deployment_groups: a group may be waited for before it was ever deployed to.
_VERSION_2 = (
    """
    CREATE TABLE waiting_controllers (
        waiting_id {identity},
        deployment_group_id TEXT NOT NULL,
        owner_host TEXT NOT NULL,
        owner_pid BIGINT NOT NULL,
        owner_pid_start TEXT NOT NULL,
        owner_user TEXT NOT NULL,
        owner_run_id TEXT,
        waiting_since DOUBLE PRECISION NOT NULL,
        heartbeat DOUBLE PRECISION NOT NULL,
        UNIQUE (deployment_group_id, owner_host, owner_pid, owner_pid_start)
    )
    """,
)

# Why a deployment was asked to stop, and whether it is to be rolled back then (null: its settings say).
_VERSION_3 = (
    "ALTER TABLE deployments ADD COLUMN stop_code TEXT",
    "ALTER TABLE deployments ADD COLUMN stop_message TEXT",
    "ALTER TABLE deployments ADD COLUMN stop_rollback BOOLEAN",
)

# When the alarms of a deployment were last looked at, by whichever worker.
_VERSION_4 = ("ALTER TABLE deployments ADD COLUMN alarms_polled_time DOUBLE PRECISION",)

# The zones of a deployment with a zonal configuration, in their order. healthy_outside counts the healthy instances of
# a zone that the deployment leaves alone.
_VERSION_5 = (
    """
    CREATE TABLE zones (
        deployment_id TEXT NOT NULL REFERENCES deployments (deployment_id),
        position INTEGER NOT NULL,
        zone TEXT NOT NULL,
        total INTEGER NOT NULL,
        minimum_healthy INTEGER NOT NULL,
        healthy_outside INTEGER NOT NULL,
        monitor_seconds INTEGER NOT NULL,
        PRIMARY KEY (deployment_id, zone)
    )
    """,
    "ALTER TABLE targets ADD COLUMN zone TEXT",
    "ALTER TABLE deployments ADD COLUMN bake_until DOUBLE PRECISION",
)

# What is still to be told to SNS or EventBridge, by the process that made the change, or by the next deployment of the
# group when that one was killed.
_VERSION_6 = (
    """
    CREATE TABLE announcements (
        announcement_id TEXT PRIMARY KEY,
        deployment_group_id TEXT NOT NULL,
        announced_time DOUBLE PRECISION NOT NULL,
        owner_host TEXT NOT NULL,
        owner_pid BIGINT NOT NULL,
        owner_pid_start TEXT NOT NULL,
        announcement TEXT NOT NULL
    )
    """,
)

# When an instance asked to start that has to wait: the last time about, and the first time.
_VERSION_7 = (
    "ALTER TABLE targets ADD COLUMN asked_time DOUBLE PRECISION",
    "ALTER TABLE targets ADD COLUMN waiting_since DOUBLE PRECISION",
)

MIGRATIONS = {1: _VERSION_1, 2: _VERSION_2, 3: _VERSION_3, 4: _VERSION_4, 5: _VERSION_5, 6: _VERSION_6, 7: _VERSION_7}
"""Statements that lead from the version before to each version."""
