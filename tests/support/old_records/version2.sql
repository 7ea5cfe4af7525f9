BEGIN TRANSACTION;
CREATE TABLE applications (
        application_id TEXT PRIMARY KEY,
        application_name TEXT NOT NULL UNIQUE,
        create_time DOUBLE PRECISION NOT NULL
    );
INSERT INTO "applications" VALUES('4aecfa90-a519-4a32-a0c5-42169265079d','HollowWeb',1.79532118323169302938e+09);
CREATE TABLE audit (
        audit_id INTEGER PRIMARY KEY AUTOINCREMENT,
        event_time DOUBLE PRECISION NOT NULL,
        event_name TEXT NOT NULL,
        principal TEXT NOT NULL,
        source TEXT NOT NULL,
        deployment_id TEXT,
        parameters TEXT NOT NULL,
        result TEXT NOT NULL
    );
INSERT INTO "audit" VALUES(1,1.79532118323207926747e+09,'CreateDeployment','ada','controller.example process 4242 run play 1','d-A1VTP6U74','{"application_name": "HollowWeb", "deployment_group_name": "production", "deployment_group_id": "8c1a5c4e-0000-4000-8000-000000000001", "revision": {"revision_type": "Local", "local_location": {"path": "/srv/build/1.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000001"}, "config": {"name": "CodeDeployDefault.AllAtOnce", "type": "HOST_COUNT", "value": 0}, "instances": 3, "limited_to": null, "only": null, "description": null, "creator": "user", "file_exists_behavior": "DISALLOW", "ignore_application_stop_failures": false, "update_outdated_instances_only": false, "rollback_of": null, "options": {"deployment_group": "web"}}','{"deployment_id": "d-A1VTP6U74"}');
INSERT INTO "audit" VALUES(2,1.79532118325271105759e+09,'DeploymentEnded','ada','controller.example process 4242 run play 1','d-A1VTP6U74','{}','{"status": "Succeeded", "error_code": null}');
INSERT INTO "audit" VALUES(3,1.79532118326367759702e+09,'CreateDeployment','ada','controller.example process 4242 run play 1','d-KTK7D6EVW','{"application_name": "HollowWeb", "deployment_group_name": "production", "deployment_group_id": "8c1a5c4e-0000-4000-8000-000000000001", "revision": {"revision_type": "Local", "local_location": {"path": "/srv/build/2.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000002"}, "config": {"name": "CodeDeployDefault.OneAtATime", "type": "MOST_CONCURRENCY", "value": 1}, "instances": 3, "limited_to": null, "only": null, "description": null, "creator": "user", "file_exists_behavior": "DISALLOW", "ignore_application_stop_failures": false, "update_outdated_instances_only": false, "rollback_of": null, "options": {"deployment_group": "web"}}','{"deployment_id": "d-KTK7D6EVW"}');
INSERT INTO "audit" VALUES(4,1.79532118327656292915e+09,'DeploymentEnded','ada','controller.example process 4242 run play 1','d-KTK7D6EVW','{}','{"status": "Failed", "error_code": "HEALTH_CONSTRAINTS"}');
INSERT INTO "audit" VALUES(5,1795321183.2784,'CreateDeployment','ada','controller.example process 4242 run play 1','d-UT3HOLDVK','{"application_name": "HollowWeb", "deployment_group_name": "production", "deployment_group_id": "8c1a5c4e-0000-4000-8000-000000000001", "revision": {"revision_type": "Local", "local_location": {"path": "/srv/build/3.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000003"}, "config": {"name": "CodeDeployDefault.OneAtATime", "type": "MOST_CONCURRENCY", "value": 1}, "instances": 3, "limited_to": null, "only": null, "description": null, "creator": "user", "file_exists_behavior": "DISALLOW", "ignore_application_stop_failures": false, "update_outdated_instances_only": false, "rollback_of": null, "options": {"deployment_group": "web"}}','{"deployment_id": "d-UT3HOLDVK"}');
CREATE TABLE deployment_groups (
        deployment_group_id TEXT PRIMARY KEY,
        application_id TEXT NOT NULL REFERENCES applications (application_id),
        deployment_group_name TEXT NOT NULL,
        create_time DOUBLE PRECISION NOT NULL,
        target_revision_id TEXT REFERENCES revisions (revision_id),
        last_successful_deployment_id TEXT,
        last_attempted_deployment_id TEXT
    );
INSERT INTO "deployment_groups" VALUES('8c1a5c4e-0000-4000-8000-000000000001','4aecfa90-a519-4a32-a0c5-42169265079d','production',1.79532118323199844358e+09,'a8c56ba2-fce2-4e2c-b7ca-ad62a20703b0','d-A1VTP6U74','d-UT3HOLDVK');
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
    );
INSERT INTO "deployments" VALUES('d-A1VTP6U74','8c1a5c4e-0000-4000-8000-000000000001','HollowWeb','production','CodeDeployDefault.AllAtOnce','HOST_COUNT',0,'a8c56ba2-fce2-4e2c-b7ca-ad62a20703b0',NULL,'Succeeded',NULL,NULL,1.79532118323207926747e+09,1.79532118323906373976e+09,1.79532118325271105759e+09,NULL,'user','DISALLOW',0,0,0,'{"deployment_group": "web"}',NULL,NULL,NULL,NULL,3,0,0,0,3,0,0,3,0,NULL,'controller.example',4242,'another boot/another namespace/1','ada','play 1',1.79532118325271105759e+09);
INSERT INTO "deployments" VALUES('d-KTK7D6EVW','8c1a5c4e-0000-4000-8000-000000000001','HollowWeb','production','CodeDeployDefault.OneAtATime','MOST_CONCURRENCY',1,'29151233-3a38-4072-ba59-1c3970594282','a8c56ba2-fce2-4e2c-b7ca-ad62a20703b0','Failed','HEALTH_CONSTRAINTS','1 of 3 instances failed and 2 must stay healthy, so that no further instance may be started.',1.79532118326367759702e+09,1795321183.27074,1.79532118327656292915e+09,NULL,'user','DISALLOW',0,0,0,'{"deployment_group": "web"}',NULL,NULL,NULL,NULL,3,2,0,0,0,1,2,2,0,NULL,'controller.example',4242,'another boot/another namespace/1','ada','play 1',1.79532118327656292915e+09);
INSERT INTO "deployments" VALUES('d-UT3HOLDVK','8c1a5c4e-0000-4000-8000-000000000001','HollowWeb','production','CodeDeployDefault.OneAtATime','MOST_CONCURRENCY',1,'4a5a6a9c-ce17-441d-92e5-8b492d29d4b5','a8c56ba2-fce2-4e2c-b7ca-ad62a20703b0','InProgress',NULL,NULL,1795321183.2784,1.79532118328687524799e+09,NULL,NULL,'user','DISALLOW',0,0,0,'{"deployment_group": "web"}',NULL,NULL,NULL,NULL,3,2,2,1,0,0,0,2,0,NULL,'controller.example',4242,'another boot/another namespace/1','ada','play 1',1.79532118328687524799e+09);
CREATE TABLE instances (
        deployment_group_id TEXT NOT NULL REFERENCES deployment_groups (deployment_group_id),
        instance TEXT NOT NULL,
        healthy BOOLEAN,
        revision_id TEXT REFERENCES revisions (revision_id),
        hooks TEXT,
        last_deployment_id TEXT,
        PRIMARY KEY (deployment_group_id, instance)
    );
INSERT INTO "instances" VALUES('8c1a5c4e-0000-4000-8000-000000000001','a',0,'a8c56ba2-fce2-4e2c-b7ca-ad62a20703b0',NULL,'d-UT3HOLDVK');
INSERT INTO "instances" VALUES('8c1a5c4e-0000-4000-8000-000000000001','b',1,'a8c56ba2-fce2-4e2c-b7ca-ad62a20703b0',NULL,'d-A1VTP6U74');
INSERT INTO "instances" VALUES('8c1a5c4e-0000-4000-8000-000000000001','c',1,'a8c56ba2-fce2-4e2c-b7ca-ad62a20703b0',NULL,'d-A1VTP6U74');
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
    );
INSERT INTO "lifecycle_events" VALUES('d-A1VTP6U74','a','Install','Succeeded',1.5,2.5,'Success',NULL,NULL,NULL);
INSERT INTO "lifecycle_events" VALUES('d-A1VTP6U74','b','Install','Succeeded',1.5,2.5,'Success',NULL,NULL,NULL);
INSERT INTO "lifecycle_events" VALUES('d-A1VTP6U74','c','Install','Succeeded',1.5,2.5,'Success',NULL,NULL,NULL);
INSERT INTO "lifecycle_events" VALUES('d-KTK7D6EVW','a','Install','Failed',1.5,2.5,'UnknownError',NULL,NULL,NULL);
INSERT INTO "lifecycle_events" VALUES('d-UT3HOLDVK','a','Install','InProgress',1.5,2.5,'UnknownError',NULL,NULL,NULL);
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
    );
INSERT INTO "revisions" VALUES('a8c56ba2-fce2-4e2c-b7ca-ad62a20703b0','4aecfa90-a519-4a32-a0c5-42169265079d','digest 0000000000000000000000000000000000000000000000000000000000000001','{"revision_type": "Local", "local_location": {"path": "/srv/build/1.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000001"}','Application revision registered by Deployment ID: d-A1VTP6U74',1.79532118323207926747e+09,1.79532118323207926747e+09,1.79532118323207926747e+09);
INSERT INTO "revisions" VALUES('29151233-3a38-4072-ba59-1c3970594282','4aecfa90-a519-4a32-a0c5-42169265079d','digest 0000000000000000000000000000000000000000000000000000000000000002','{"revision_type": "Local", "local_location": {"path": "/srv/build/2.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000002"}','Application revision registered by Deployment ID: d-KTK7D6EVW',1.79532118326367759702e+09,1.79532118326367759702e+09,1.79532118326367759702e+09);
INSERT INTO "revisions" VALUES('4a5a6a9c-ce17-441d-92e5-8b492d29d4b5','4aecfa90-a519-4a32-a0c5-42169265079d','digest 0000000000000000000000000000000000000000000000000000000000000003','{"revision_type": "Local", "local_location": {"path": "/srv/build/3.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000003"}','Application revision registered by Deployment ID: d-UT3HOLDVK',1795321183.2784,1795321183.2784,1795321183.2784);
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO "schema_version" VALUES(2);
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
    );
INSERT INTO "targets" VALUES('d-A1VTP6U74','a',0,'Succeeded',0,1.79532118323906373976e+09,1.79532118324007868761e+09,NULL);
INSERT INTO "targets" VALUES('d-A1VTP6U74','b',1,'Succeeded',0,1.79532118324125075344e+09,1.79532118325073957441e+09,NULL);
INSERT INTO "targets" VALUES('d-A1VTP6U74','c',2,'Succeeded',0,1.79532118325186824795e+09,1.79532118325271105759e+09,NULL);
INSERT INTO "targets" VALUES('d-KTK7D6EVW','a',0,'Failed',1,1795321183.27074,1.79532118327656292915e+09,NULL);
INSERT INTO "targets" VALUES('d-KTK7D6EVW','b',1,'Skipped',1,NULL,1.79532118327656292915e+09,NULL);
INSERT INTO "targets" VALUES('d-KTK7D6EVW','c',2,'Skipped',1,NULL,1.79532118327656292915e+09,NULL);
INSERT INTO "targets" VALUES('d-UT3HOLDVK','a',0,'InProgress',0,1.79532118328687524799e+09,1.79532118328687524799e+09,NULL);
INSERT INTO "targets" VALUES('d-UT3HOLDVK','b',1,'Pending',1,NULL,1795321183.2784,NULL);
INSERT INTO "targets" VALUES('d-UT3HOLDVK','c',2,'Pending',1,NULL,1795321183.2784,NULL);
CREATE TABLE waiting_controllers (
        waiting_id INTEGER PRIMARY KEY AUTOINCREMENT,
        deployment_group_id TEXT NOT NULL,
        owner_host TEXT NOT NULL,
        owner_pid BIGINT NOT NULL,
        owner_pid_start TEXT NOT NULL,
        owner_user TEXT NOT NULL,
        owner_run_id TEXT,
        waiting_since DOUBLE PRECISION NOT NULL,
        heartbeat DOUBLE PRECISION NOT NULL,
        UNIQUE (deployment_group_id, owner_host, owner_pid, owner_pid_start)
    );
CREATE INDEX deployment_groups_of_application ON deployment_groups (application_id, deployment_group_name);
CREATE UNIQUE INDEX one_active_deployment ON deployments (deployment_group_id) WHERE complete_time IS NULL;
CREATE INDEX deployments_by_time ON deployments (create_time);
CREATE INDEX targets_by_status ON targets (deployment_id, status, position);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',5);
COMMIT;
