BEGIN TRANSACTION;
CREATE TABLE applications (
        application_id TEXT PRIMARY KEY,
        application_name TEXT NOT NULL UNIQUE,
        create_time DOUBLE PRECISION NOT NULL
    );
INSERT INTO "applications" VALUES('86e509e2-0665-4d66-8104-6752181f95fd','HollowWeb',1.79532118257976961136e+09);
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
INSERT INTO "audit" VALUES(1,1.79532118257976961136e+09,'CreateDeployment','ada','controller.example process 4242 run play 1','d-A5GE31XD3','{"application_name": "HollowWeb", "deployment_group_name": "production", "deployment_group_id": "8c1a5c4e-0000-4000-8000-000000000001", "revision": {"revision_type": "Local", "local_location": {"path": "/srv/build/1.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000001"}, "config": {"name": "CodeDeployDefault.AllAtOnce", "type": "HOST_COUNT", "value": 0}, "instances": 3, "limited_to": null, "only": null, "description": null, "creator": "user", "file_exists_behavior": "DISALLOW", "ignore_application_stop_failures": false, "update_outdated_instances_only": false, "rollback_of": null, "options": {"deployment_group": "web"}}','{"deployment_id": "d-A5GE31XD3"}');
INSERT INTO "audit" VALUES(2,1.79532118259644079202e+09,'DeploymentEnded','ada','controller.example process 4242 run play 1','d-A5GE31XD3','{}','{"status": "Succeeded", "error_code": null}');
INSERT INTO "audit" VALUES(3,1.79532118260341453557e+09,'CreateDeployment','ada','controller.example process 4242 run play 1','d-P2LPZVEBQ','{"application_name": "HollowWeb", "deployment_group_name": "production", "deployment_group_id": "8c1a5c4e-0000-4000-8000-000000000001", "revision": {"revision_type": "Local", "local_location": {"path": "/srv/build/2.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000002"}, "config": {"name": "CodeDeployDefault.OneAtATime", "type": "MOST_CONCURRENCY", "value": 1}, "instances": 3, "limited_to": null, "only": null, "description": null, "creator": "user", "file_exists_behavior": "DISALLOW", "ignore_application_stop_failures": false, "update_outdated_instances_only": false, "rollback_of": null, "options": {"deployment_group": "web"}}','{"deployment_id": "d-P2LPZVEBQ"}');
INSERT INTO "audit" VALUES(4,1.79532118260589647297e+09,'DeploymentEnded','ada','controller.example process 4242 run play 1','d-P2LPZVEBQ','{}','{"status": "Failed", "error_code": "HEALTH_CONSTRAINTS"}');
INSERT INTO "audit" VALUES(5,1.7953211826074061394e+09,'CreateDeployment','ada','controller.example process 4242 run play 1','d-R69H4CB0Y','{"application_name": "HollowWeb", "deployment_group_name": "production", "deployment_group_id": "8c1a5c4e-0000-4000-8000-000000000001", "revision": {"revision_type": "Local", "local_location": {"path": "/srv/build/3.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000003"}, "config": {"name": "CodeDeployDefault.OneAtATime", "type": "MOST_CONCURRENCY", "value": 1}, "instances": 3, "limited_to": null, "only": null, "description": null, "creator": "user", "file_exists_behavior": "DISALLOW", "ignore_application_stop_failures": false, "update_outdated_instances_only": false, "rollback_of": null, "options": {"deployment_group": "web"}}','{"deployment_id": "d-R69H4CB0Y"}');
CREATE TABLE deployment_groups (
        deployment_group_id TEXT PRIMARY KEY,
        application_id TEXT NOT NULL REFERENCES applications (application_id),
        deployment_group_name TEXT NOT NULL,
        create_time DOUBLE PRECISION NOT NULL,
        target_revision_id TEXT REFERENCES revisions (revision_id),
        last_successful_deployment_id TEXT,
        last_attempted_deployment_id TEXT
    );
INSERT INTO "deployment_groups" VALUES('8c1a5c4e-0000-4000-8000-000000000001','86e509e2-0665-4d66-8104-6752181f95fd','production',1.79532118257976961136e+09,'a8543e79-7d2a-4fe9-b082-881d19077454','d-A5GE31XD3','d-R69H4CB0Y');
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
INSERT INTO "deployments" VALUES('d-A5GE31XD3','8c1a5c4e-0000-4000-8000-000000000001','HollowWeb','production','CodeDeployDefault.AllAtOnce','HOST_COUNT',0,'a8543e79-7d2a-4fe9-b082-881d19077454',NULL,'Succeeded',NULL,NULL,1.79532118257976961136e+09,1.79532118258383917809e+09,1.79532118259644079202e+09,NULL,'user','DISALLOW',0,0,0,'{"deployment_group": "web"}',NULL,NULL,NULL,NULL,3,0,0,0,3,0,0,3,0,NULL,'controller.example',4242,'another boot/another namespace/1','ada','play 1',1.79532118259644079202e+09);
INSERT INTO "deployments" VALUES('d-P2LPZVEBQ','8c1a5c4e-0000-4000-8000-000000000001','HollowWeb','production','CodeDeployDefault.OneAtATime','MOST_CONCURRENCY',1,'329c9f61-866a-43ba-9f01-ed5bd87e2863','a8543e79-7d2a-4fe9-b082-881d19077454','Failed','HEALTH_CONSTRAINTS','1 of 3 instances failed and 2 must stay healthy, so that no further instance may be started.',1.79532118260341453557e+09,1.79532118260488438607e+09,1.79532118260589647297e+09,NULL,'user','DISALLOW',0,0,0,'{"deployment_group": "web"}',NULL,NULL,NULL,NULL,3,2,0,0,0,1,2,2,0,NULL,'controller.example',4242,'another boot/another namespace/1','ada','play 1',1.79532118260589647297e+09);
INSERT INTO "deployments" VALUES('d-R69H4CB0Y','8c1a5c4e-0000-4000-8000-000000000001','HollowWeb','production','CodeDeployDefault.OneAtATime','MOST_CONCURRENCY',1,'fd3c14ca-4454-4228-9534-206d5f7ee548','a8543e79-7d2a-4fe9-b082-881d19077454','InProgress',NULL,NULL,1.7953211826074061394e+09,1.79532118261197710037e+09,NULL,NULL,'user','DISALLOW',0,0,0,'{"deployment_group": "web"}',NULL,NULL,NULL,NULL,3,2,2,1,0,0,0,2,0,NULL,'controller.example',4242,'another boot/another namespace/1','ada','play 1',1.79532118261247444152e+09);
CREATE TABLE instances (
        deployment_group_id TEXT NOT NULL REFERENCES deployment_groups (deployment_group_id),
        instance TEXT NOT NULL,
        healthy BOOLEAN,
        revision_id TEXT REFERENCES revisions (revision_id),
        hooks TEXT,
        last_deployment_id TEXT,
        PRIMARY KEY (deployment_group_id, instance)
    );
INSERT INTO "instances" VALUES('8c1a5c4e-0000-4000-8000-000000000001','a',0,'a8543e79-7d2a-4fe9-b082-881d19077454',NULL,'d-R69H4CB0Y');
INSERT INTO "instances" VALUES('8c1a5c4e-0000-4000-8000-000000000001','b',1,'a8543e79-7d2a-4fe9-b082-881d19077454',NULL,'d-A5GE31XD3');
INSERT INTO "instances" VALUES('8c1a5c4e-0000-4000-8000-000000000001','c',1,'a8543e79-7d2a-4fe9-b082-881d19077454',NULL,'d-A5GE31XD3');
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
INSERT INTO "lifecycle_events" VALUES('d-A5GE31XD3','a','Install','Succeeded',1.5,2.5,'Success',NULL,NULL,NULL);
INSERT INTO "lifecycle_events" VALUES('d-A5GE31XD3','b','Install','Succeeded',1.5,2.5,'Success',NULL,NULL,NULL);
INSERT INTO "lifecycle_events" VALUES('d-A5GE31XD3','c','Install','Succeeded',1.5,2.5,'Success',NULL,NULL,NULL);
INSERT INTO "lifecycle_events" VALUES('d-P2LPZVEBQ','a','Install','Failed',1.5,2.5,'UnknownError',NULL,NULL,NULL);
INSERT INTO "lifecycle_events" VALUES('d-R69H4CB0Y','a','Install','InProgress',1.5,2.5,'UnknownError',NULL,NULL,NULL);
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
INSERT INTO "revisions" VALUES('a8543e79-7d2a-4fe9-b082-881d19077454','86e509e2-0665-4d66-8104-6752181f95fd','digest 0000000000000000000000000000000000000000000000000000000000000001','{"revision_type": "Local", "local_location": {"path": "/srv/build/1.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000001"}','Application revision registered by Deployment ID: d-A5GE31XD3',1.79532118257976961136e+09,1.79532118257976961136e+09,1.79532118257976961136e+09);
INSERT INTO "revisions" VALUES('329c9f61-866a-43ba-9f01-ed5bd87e2863','86e509e2-0665-4d66-8104-6752181f95fd','digest 0000000000000000000000000000000000000000000000000000000000000002','{"revision_type": "Local", "local_location": {"path": "/srv/build/2.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000002"}','Application revision registered by Deployment ID: d-P2LPZVEBQ',1.79532118260341453557e+09,1.79532118260341453557e+09,1.79532118260341453557e+09);
INSERT INTO "revisions" VALUES('fd3c14ca-4454-4228-9534-206d5f7ee548','86e509e2-0665-4d66-8104-6752181f95fd','digest 0000000000000000000000000000000000000000000000000000000000000003','{"revision_type": "Local", "local_location": {"path": "/srv/build/3.tgz", "bundle_type": "tgz"}, "digest": "0000000000000000000000000000000000000000000000000000000000000003"}','Application revision registered by Deployment ID: d-R69H4CB0Y',1.7953211826074061394e+09,1.7953211826074061394e+09,1.7953211826074061394e+09);
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO "schema_version" VALUES(1);
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
INSERT INTO "targets" VALUES('d-A5GE31XD3','a',0,'Succeeded',0,1.79532118258383917809e+09,1.79532118258693814275e+09,NULL);
INSERT INTO "targets" VALUES('d-A5GE31XD3','b',1,'Succeeded',0,1.79532118258914327626e+09,1.79532118259280061719e+09,NULL);
INSERT INTO "targets" VALUES('d-A5GE31XD3','c',2,'Succeeded',0,1.79532118259588193897e+09,1.79532118259644079202e+09,NULL);
INSERT INTO "targets" VALUES('d-P2LPZVEBQ','a',0,'Failed',1,1.79532118260488438607e+09,1.79532118260589647297e+09,NULL);
INSERT INTO "targets" VALUES('d-P2LPZVEBQ','b',1,'Skipped',1,NULL,1.79532118260589647297e+09,NULL);
INSERT INTO "targets" VALUES('d-P2LPZVEBQ','c',2,'Skipped',1,NULL,1.79532118260589647297e+09,NULL);
INSERT INTO "targets" VALUES('d-R69H4CB0Y','a',0,'InProgress',0,1.79532118261197710037e+09,1.79532118261197710037e+09,NULL);
INSERT INTO "targets" VALUES('d-R69H4CB0Y','b',1,'Pending',1,NULL,1.7953211826074061394e+09,NULL);
INSERT INTO "targets" VALUES('d-R69H4CB0Y','c',2,'Pending',1,NULL,1.7953211826074061394e+09,NULL);
CREATE INDEX deployment_groups_of_application ON deployment_groups (application_id, deployment_group_name);
CREATE UNIQUE INDEX one_active_deployment ON deployments (deployment_group_id) WHERE complete_time IS NULL;
CREATE INDEX deployments_by_time ON deployments (create_time);
CREATE INDEX targets_by_status ON targets (deployment_id, status, position);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',5);
COMMIT;
