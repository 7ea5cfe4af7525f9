# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of everything that asks AWS, with the names they have in amazon.aws. Private to this collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options in C(AWS_ARGUMENTS) of C(plugin_utils/_aws.py)."""

    DOCUMENTATION = r"""
options:
  region:
    description:
      - AWS region to ask.
      - Without it E(AWS_REGION), E(AWS_DEFAULT_REGION) or the profile's region is used, in this order.
    type: str
    aliases: [aws_region]
  profile:
    description:
      - Profile of the AWS configuration files whose credentials are used. Excludes O(access_key).
      - Without it and without keys the profile that E(AWS_PROFILE) names is used, or V(default).
    type: str
    aliases: [aws_profile]
  access_key:
    description:
      - Id of an AWS access key.
      - Without it and O(profile) the environment variable E(AWS_ACCESS_KEY_ID) or E(AWS_ACCESS_KEY) is used, then
        whatever else boto3 finds (the files in C(~/.aws), the instance profile).
    type: str
    aliases: [aws_access_key_id, aws_access_key]
  secret_key:
    description:
      - The access key's secret. Also E(AWS_SECRET_ACCESS_KEY) or E(AWS_SECRET_KEY).
    type: str
    aliases: [aws_secret_access_key, aws_secret_key]
  session_token:
    description:
      - Token that belongs to temporary keys. Also E(AWS_SESSION_TOKEN) or E(AWS_SECURITY_TOKEN).
    type: str
    aliases: [aws_session_token]
  assume_role_arn:
    description:
      - ARN of a role that is assumed with these credentials, for another account for example. It is assumed again when
        its credentials expire during a long deployment.
    type: str
    aliases: [iam_role_arn]
  endpoint_url:
    description:
      - Address to send all calls to instead of AWS's own, for a private endpoint or a compatible service.
      - Also E(AWS_URL), E(AWS_ENDPOINT_URL), or one service's E(AWS_ENDPOINT_URL_S3) for example.
    type: str
    aliases: [aws_endpoint_url]
  validate_certs:
    description:
      - V(false) accepts any certificate. O(aws_ca_bundle) is the safe way to accept a private authority's.
      - Without it certificates are checked.
    type: bool
  aws_ca_bundle:
    description:
      - File with the certificates of the authorities to trust. Also E(AWS_CA_BUNDLE).
    type: path
  aws_config:
    description:
      - Settings of botocore's C(Config), for example V({"retries":{"max_attempts":10}}).
    type: dict
notes:
  - Credentials are looked for where Ansible runs, never on the instances.
  - boto3 1.34.0 or newer is needed on the controller when AWS is used, and only then.
requirements:
  - boto3 >= 1.34.0, only when AWS is used
"""
