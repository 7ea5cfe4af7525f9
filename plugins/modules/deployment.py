# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment
short_description: Create, stop and conclude the record of a deployment
version_added: 0.1.0
description:
  - With O(state=created) everything that can be checked from the controller is checked, before any instance is touched;
    all findings come in one report. Then the deployment is recorded with all its instances as V(Pending), and the
    deployment group is taken. Within one play this happens once; a further call returns the same deployment.
  - With O(state=concluded) the deployment is ended. Instances that never arrived are failed or skipped as CodeDeploy
    does with instances that do not answer. The task fails when the deployment did not succeed. In the play that deploys
    only those instances are failed that have dropped out of it, so that its other batches go on; conclude the rest in a
    play behind it.
  - With O(state=stopped) no further lifecycle event is started in a deployment that another run, or another controller
    with the same record, is at work on. Scripts that run are not killed. Instances that are pending are V(Skipped), one
    that is stopped between two lifecycle events is V(Failed), and the deployment ends as V(Stopped) with the error code
    V(MANUAL_STOP) when nothing is in work any more.
  - With O(state=rolled_back) a deployment that failed or was stopped, and whose O(auto_rollback_configuration) asks for
    it, is rolled back. That is a new deployment, with V(codeDeployRollback) as its creator, of the revision of the
    group's last successful deployment and with the file_exists_behavior of that one, on the instances that were
    attempted. RV(plan) is returned for it alone. When there is nothing to go back to, the record says why.
  - Use it with C(run_once). M(agentless.codedeploy.deploy_instance) does the work on each instance in between.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.report
  - agentless.codedeploy._attributes.store
  - agentless.codedeploy._aws
attributes:
  check_mode:
    support: full
    details:
      - With O(state=created) everything is checked and the plan is returned; nothing is recorded.
      - With O(state=concluded) it is told what would happen on the instances, from what
        M(agentless.codedeploy.deploy_instance) has registered as C(deploy_checked) on each, once for all instances with
        the same plan. The task fails when the deployment would fail on any of them.
  diff_mode:
    support: partial
    details:
      - In check mode with O(state=concluded), the differences of M(agentless.codedeploy.deploy_instance).
options:
  state:
    description:
      - Whether to begin, to end, to stop or to roll back the deployment.
      - V(planned) tells what it would do and what hinders it, and changes nothing;
        M(agentless.codedeploy.deploy_instance) in check mode adds what would happen on instances.
    type: str
    choices: [created, concluded, stopped, rolled_back, planned]
    default: created
  deployment_id:
    description:
      - Which deployment to stop or to conclude. Default with O(state=stopped) the active one of O(deployment_group).
      - Default with O(state=concluded) those that this run of ansible-playbook has made, and those that were left
        by a controller that is dead, of O(application_name) and O(deployment_group) when these are given.
    type: str
  planned_deployment:
    description: In check mode, what O(state=created) has returned as RV(planned_deployment).
    type: dict
  outlook:
    description: With O(state=planned), what it has returned as RV(outlook), to show it with what instances have said.
    type: dict
  application_name:
    description:
      - Name of the application. Default C(application_name) of O(deployment_groups), else the group's name.
      - Together with the group's name it identifies what earlier deployments have installed on an instance.
    type: str
  deployment_group:
    description: Name of the inventory's group that is deployed to. Default the play's C(hosts), when that is one group.
    type: str
  deployment_group_id:
    description: Identifier of the deployment group on the instances. Default a UUIDv5 of the two names.
    type: str
  deployment_groups:
    description:
      - Settings of deployment groups by the name of the inventory's group, in the shapes of CodeDeploy's API, in snake
        case. Other options of this module take precedence over those of the group that is deployed to, each as a whole.
    type: dict
    default: {}
  revision:
    description:
      - What to deploy. A folder or an archive (zip, tar, tar.gz) on the controller, absolute or relative to the working
        directory, else to the playbook; an C(https://) address; C(s3://bucket/key), with C(?versionId=) and C(&eTag=)
        if wanted; C(github:owner/repository@commit) with all 40 digits of the commit.
      - V(latest) is the newest registered revision of the application, V(last_successful) the revision of the group's
        last successful deployment, V(previous) the same after a failure and the revision before that one after a
        success; the id of an earlier deployment of the application is that one's revision.
      - A mapping in the shape of the API's C(RevisionLocation), with C(revision_type), stands for the same.
      - Required with O(state=created), except with O(resume=true).
    type: raw
  revision_headers:
    description: HTTP headers to send with an address in O(revision). Never shown and never recorded.
    type: dict
    default: {}
  appspec_filename:
    description: Path of the AppSpec file in the bundle. Default C(appspec.yml), else C(appspec.yaml).
    type: str
  deployment_config:
    description:
      - Deployment configuration, the name of a predefined one such as V(CodeDeployDefault.HalfAtATime) or a mapping
        with C(minimum_healthy_hosts). Default C(deployment_config_name) of O(deployment_groups), else
        V(CodeDeployDefault.OneAtATime).
    type: raw
  file_exists_behavior:
    description:
      - What happens to a file at a destination that no earlier deployment of the group installed, V(DISALLOW),
        V(OVERWRITE) or V(RETAIN). Default V(DISALLOW).
    type: str
  ignore_application_stop_failures:
    description: Go on with an instance whose ApplicationStop, BeforeBlockTraffic or AfterBlockTraffic failed.
    type: bool
  update_outdated_instances_only:
    description: Deploy only to instances that do not run the revision yet.
    type: bool
  auto_rollback_configuration:
    description:
      - When to roll back, in the API's shape. C(events) is a list of V(DEPLOYMENT_FAILURE),
        V(DEPLOYMENT_STOP_ON_REQUEST) and V(DEPLOYMENT_STOP_ON_ALARM), C(enabled) switches it off when V(false). Default
        C(auto_rollback_configuration) of O(deployment_groups).
    type: dict
  load_balancer_info:
    description:
      - Load balancers of AWS, in the API's shape. C(target_group_info_list) and C(elb_info_list) are lists of mappings
        with C(name). Default C(load_balancer_info) of O(deployment_groups).
      - Instances are known by their host variable C(instance_id).
    type: dict
  traffic:
    description:
      - Load balancers that are not those of AWS. C({name}) in a text stands for the instance's variable of that name.
        Default C(traffic) of O(deployment_groups).
      - C(provider) is V(haproxy), V(nginx) or V(command). C(host) is the host of the inventory that is given the
        orders, by default the controller; C(become) whether to become there.
      - V(haproxy) has C(backend), C(server) (by default the name of the instance) and C(socket), a path or
        C(HOST:PORT).
      - V(nginx) has C(file) and C(server), its address as the file has it, further C(upstream), C(test), C(reload) and
        C(pid_file).
      - V(command) has C(block), C(allow) and C(status), lists of a program and its arguments. C(status) prints
        V(blocked) or V(allowed) when it has come to that.
    type: list
    elements: dict
  block_traffic_timeout:
    description: Seconds that BlockTraffic may wait until the requests to an instance have ended, by default 3600.
    type: float
  allow_traffic_timeout:
    description: Seconds that AllowTraffic may wait until load balancers find an instance healthy, by default 3600.
    type: float
  reregister_on_failure:
    description: Put an instance that fails after BlockTraffic back into its load balancers.
    type: bool
  alarm_configuration:
    description:
      - Amazon CloudWatch alarms, in the API's shape. Default C(alarm_configuration) of O(deployment_groups).
      - While one of C(alarms) is in C(ALARM) no deployment is created, and one that runs is stopped (C(ALARM_ACTIVE)).
        The same when their state cannot be read, unless C(ignore_poll_alarm_failure) is V(true). C(enabled) switches it
        on and off. A rollback heeds no alarms.
    type: dict
  alarm_poll_interval:
    description:
      - How many seconds there are at least between two looks at the alarms, over all instances. Default
        C(alarm_poll_interval) of O(deployment_groups), else 10.
    type: int
  trigger_configurations:
    description:
      - Amazon SNS topics that are told of events of the deployment and its instances, in the API's shape. Default
        C(trigger_configurations) of O(deployment_groups). A message that cannot be sent is a warning and an entry in
        the audit trail; it fails nothing.
    type: list
    elements: dict
  event_bus_name:
    description:
      - Name or ARN of an Amazon EventBridge event bus that the same events are sent to, with the source
        C(agentless.codedeploy). Default C(event_bus_name) of O(deployment_groups), else none are sent.
    type: str
  auto_scaling_groups:
    description:
      - Auto Scaling groups. Default C(auto_scaling_groups) of O(deployment_groups).
    type: list
    elements: raw
  ec2_deployment_options:
    description:
      - Options for EC2 instances, in the API's shape. Default C(ec2_deployment_options) of O(deployment_groups).
    type: dict
  description:
    description: Comment about the deployment, at most 256 characters.
    type: str
  rollout:
    description:
      - V(window) starts the next instance as soon as one is done. V(batches) works on that many at a time and waits for
        all of them.
    type: str
    choices: [window, batches]
    default: window
  application_stop:
    description:
      - Replaces a broken ApplicationStop of the revision before, for this deployment. V(new) runs the scripts of the
        new revision, V(skip) none, anything else is the path of a script in the new bundle. It is recorded.
    type: str
  deployment_mode:
    description:
      - With V(RESTART) ApplicationStop, ApplicationStart and ValidateService of the revision that is installed are run,
        and the events around traffic; nothing is downloaded or installed. O(revision) is left out then. It is recorded
        as a deployment of the group's last successful revision.
    type: str
    choices: [STANDARD, RESTART]
    default: STANDARD
  resume:
    description:
      - Go on with the group's newest deployment, which failed, was stopped or lost its controller, by a new deployment
        that names it. The same revision is deployed to what failed, was not reached or is outdated, with that
        deployment's settings where no other option gives one. An instance that turns out to have succeeded, by its own
        event log, is recorded so and not deployed to again.
    type: bool
    default: false
  wait_for_group:
    description:
      - Seconds to wait for a group that another deployment holds, in the order in which runs came; it is told whom is
        waited for. With V(0) the deployment is refused at once, as by CodeDeploy.
    type: int
    default: 0
  automatic_rollback:
    description:
      - Says that a later task of the run calls this module with O(state=rolled_back), so that runs that wait for the
        group wait for the rollback too.
    type: bool
    default: false
  rollback:
    description:
      - With O(state=stopped), whether the run that deploys then rolls the deployment back (C(autoRollbackEnabled) of
        StopDeployment). Default as its O(auto_rollback_configuration) says.
    type: bool
  restore_on_failure:
    description:
      - When an event after C(Install) fails on an instance, put the files of the revision back that was installed there
        before, and run its C(ApplicationStart) and C(ValidateService). The instance has failed all the same.
    type: bool
  reject_setuid:
    description:
      - Refuse a bundle with a file that has a setuid or setgid bit, and an AppSpec whose C(permissions) give files one.
    type: bool
  ignore_ownership:
    description: Give the files of a tar archive the owner of a new file instead of the one that the archive names.
    type: bool
  archive_limits:
    description:
      - How big an archive may get when it is unpacked on an instance, with the keys and defaults of
        O(agentless.codedeploy.lifecycle_events#module:archive_limits).
    type: dict
  bundle_type:
    description:
      - Kind of the archive, V(zip), V(tar) or V(tgz), when the name of O(revision) does not tell. From GitHub V(tgz) by
        default, or V(zip).
    type: str
  download:
    description:
      - How the bundle gets to the instances. With V(presigned), the default for S3, each downloads it from a signed
        address, without boto3 and credentials of its own. With V(instance) it uses its own profile and needs boto3.
        With V(push) the controller fetches it and copies it to each instance that does not have it, whatever kind of
        revision it is.
    type: str
  github_token:
    description:
      - Token for O(revision) in GitHub, needed for private repositories. It is sent to O(github_api_url) alone, never
        shown and never recorded. Default the environment variable E(GITHUB_TOKEN), else E(GH_TOKEN).
    type: str
  github_api_url:
    description:
      - Address of GitHub's API; of GitHub Enterprise Server C(https://HOST/api/v3). Default the environment variable
        E(GITHUB_API_URL), else C(https://api.github.com).
    type: str
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Deploy in a playbook of one's own
  hosts: web
  gather_facts: false
  tasks:
    - name: Create the deployment
      agentless.codedeploy.deployment:
        application_name: HollowWeb
        revision: ./build/hollowweb.tar.gz
        deployment_config: CodeDeployDefault.HalfAtATime
      register: created
      run_once: true

    - name: Deploy to the instance
      agentless.codedeploy.deploy_instance:
        deployment_id: "{{ created.deployment_id }}"
      throttle: "{{ created.plan.window }}"
      become: true

    - name: Conclude the deployment
      agentless.codedeploy.deployment:
        state: concluded
        deployment_id: "{{ created.deployment_id }}"
      run_once: true

- name: Stop the active deployment of a group
  hosts: localhost
  tasks:
    - name: Start no further lifecycle event
      agentless.codedeploy.deployment:
        state: stopped
        deployment_group: web
"""

RETURN = r"""
deployment_id:
  description:
    - Identifier of the deployment; empty in check mode.
    - With O(state=concluded) that of the deployment which did not succeed, also when it was rolled back; its rollback
      is in RV(rollback_info). Of several the first that did not succeed, else the last.
    - With O(state=rolled_back) that of the rollback; empty when none is due.
  returned: when a deployment was made or ended, also when the task fails since the deployment did
  type: str
  sample: d-75I7MBT7C
status:
  description: Status of the deployment that RV(deployment_id) names.
  returned: with RV(deployment_id)
  type: str
  sample: Succeeded
rollback_info:
  description: What CodeDeploy's RollbackInfo says of the deployment that RV(deployment_id) names.
  returned: when O(state=concluded), of a rollback, and of a deployment that was rolled back or should have been
  type: dict
  contains:
    rollback_deployment_id:
      description: The deployment that rolled it back.
      returned: when there is one
      type: str
      sample: d-QA4G4F9EX
    rollback_triggering_deployment_id:
      description: The deployment that it rolls back.
      returned: when it is an automatic rollback
      type: str
      sample: d-75I7MBT7C
    rollback_message:
      description: What happened, or why there was no rollback.
      returned: always
      type: str
      sample: >-
        Deployment d-75I7MBT7C terminated. Automatic rollback is triggered with a DeploymentId d-QA4G4F9EX.
stop_status:
  description: As StopDeployment says, V(Pending) while instances are in work, V(Succeeded) when it has ended.
  returned: when O(state=stopped)
  type: str
  sample: Pending
in_work:
  description: Instances that are still in work.
  returned: when O(state=stopped)
  type: list
  elements: str
  sample: [web1]
plan:
  description: Which instances, in which order, how many at a time.
  returned: when O(state=created)
  type: dict
  contains:
    order:
      description: Instances in the order in which they are to be started.
      type: list
      elements: str
      sample: [web2, web1]
    window:
      description: How many instances may be out of service at once; for C(throttle).
      type: int
      sample: 1
    serial:
      description: For the C(serial) of a play.
      type: list
      elements: int
      sample: [2]
    total:
      description: Size of the whole deployment group.
      type: int
      sample: 2
    minimum_healthy_hosts:
      description: How many instances must stay healthy.
      type: int
      sample: 1
    unfinished:
      description: Instances at which an earlier deployment was at work when its controller ended, and that deployment.
      type: dict
      sample: {}
planned_deployment:
  description: The deployment that would be made, for M(agentless.codedeploy.deploy_instance).
  returned: when O(state=created), in check mode
  type: dict
outlook:
  description: >-
    The plan of a deployment: its instances in their order with their health and C(expected_seconds), the C(reason) of
    those that are C(left_out), the C(resumed_deployment), C(batches), C(zones), C(estimated_seconds) of all,
    C(problems), and in the end C(plans) and whether it is C(possible).
  returned: when O(state=planned)
  type: dict
plans:
  description: What would happen, once for all instances with the same plan.
  returned: when O(state=concluded), in check mode
  type: list
  elements: dict
  contains:
    instances:
      description: The instances.
      type: list
      elements: str
      sample: [web1, web2]
    plan:
      description:
        - RV(agentless.codedeploy.lifecycle_events#module:plan), with paths below C(destination_root) of
          M(agentless.codedeploy.deploy_instance). Null when there is none.
      type: dict
    message:
      description: Why there is no plan.
      type: str
      sample: Failed to connect to the host via ssh
"""
