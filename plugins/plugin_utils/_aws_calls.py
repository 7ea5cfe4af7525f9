# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every call of the AWS API that this collection makes, by what it is for. A test compares it with the calls made."""

from __future__ import annotations

CALLS: dict[str, tuple[str, ...]] = {
    "inventory": (
        "ec2:DescribeInstances",
        "autoscaling:DescribeAutoScalingGroups",
    ),
    "push": (
        "s3:AbortMultipartUpload",
        "s3:CompleteMultipartUpload",
        "s3:CreateMultipartUpload",
        "s3:HeadBucket",
        "s3:HeadObject",
        "s3:PutObject",
        "s3:UploadPart",
    ),
    "revisions": (
        "s3:GetObject",
        "s3:HeadObject",
        "s3:ListObjectsV2",
    ),
    "traffic": (
        "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:DescribeInstanceHealth",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
        "elasticloadbalancing:RegisterTargets",
    ),
    "auto_scaling": (
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:ResumeProcesses",
        "autoscaling:SuspendProcesses",
    ),
    "alarms": ("cloudwatch:DescribeAlarms",),
    "notifications": (
        "events:DescribeEventBus",
        "events:PutEvents",
        "sns:Publish",
    ),
    "doctor": (
        "autoscaling:DescribeAutoScalingGroups",
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeInstances",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups",
        "iam:GetRole",
        "iam:SimulatePrincipalPolicy",
        "s3:GetBucketVersioning",
        "s3:HeadBucket",
    ),
}
"""What a controller calls, for each feature. C(sts:GetCallerIdentity) needs no permission."""

SETUP_CALLS: dict[str, tuple[str, ...]] = {
    "setup_aws": (
        "iam:AddRoleToInstanceProfile",
        "iam:AttachRolePolicy",
        "iam:CreateInstanceProfile",
        "iam:CreatePolicy",
        "iam:CreatePolicyVersion",
        "iam:CreateRole",
        "iam:DeleteInstanceProfile",
        "iam:DeletePolicy",
        "iam:DeletePolicyVersion",
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:GetInstanceProfile",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListPolicyVersions",
        "iam:ListRolePolicies",
        "iam:PutRolePolicy",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:UpdateAssumeRolePolicy",
        "s3:CreateBucket",
        "s3:DeleteBucket",
        "s3:DeleteObjects",
        "s3:GetBucketEncryption",
        "s3:GetBucketPolicy",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetPublicAccessBlock",
        "s3:HeadBucket",
        "s3:ListObjectVersions",
        "s3:PutBucketEncryption",
        "s3:PutBucketPolicy",
        "s3:PutBucketTagging",
        "s3:PutBucketVersioning",
        "s3:PutPublicAccessBlock",
        "sns:CreateTopic",
        "sns:DeleteTopic",
        "sns:GetTopicAttributes",
        "sns:ListTagsForResource",
    ),
    "launch_example_fleet": (
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateSecurityGroup",
        "ec2:DeleteSecurityGroup",
        "ec2:DescribeInstances",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:RunInstances",
        "ec2:TerminateInstances",
        "elasticloadbalancing:CreateListener",
        "elasticloadbalancing:CreateLoadBalancer",
        "elasticloadbalancing:CreateTargetGroup",
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTags",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:ModifyTargetGroupAttributes",
        "elasticloadbalancing:RegisterTargets",
        "ssm:GetParameter",
    ),
}
"""What the person calls who sets AWS up, and no controller does."""

WITHOUT_PERMISSION = ("sts:GetCallerIdentity", "sts:AssumeRole")
"""Calls that the controller's own policy says nothing of: anybody may, or the other role's trust decides."""

FURTHER_ACTIONS: dict[str, tuple[str, ...]] = {
    # A version by its id is another permission; without the bucket's list an object that is not there is "forbidden".
    "s3:GetObject": ("s3:GetObjectVersion", "s3:ListBucket"),
    "s3:HeadObject": ("s3:GetObjectVersion", "s3:ListBucket"),
    # Deleting an object needs the one, a version of it the other.
    "s3:DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    # What is created with tags.
    "iam:CreateInstanceProfile": ("iam:TagInstanceProfile",),
    "iam:CreatePolicy": ("iam:TagPolicy",),
    "iam:CreateRole": ("iam:TagRole",),
    "sns:CreateTopic": ("sns:TagResource",),
    "ec2:CreateSecurityGroup": ("ec2:CreateTags",),
    "ec2:RunInstances": ("ec2:CreateTags", "iam:PassRole"),
    "elasticloadbalancing:CreateListener": ("elasticloadbalancing:AddTags",),
    "elasticloadbalancing:CreateLoadBalancer": ("elasticloadbalancing:AddTags",),
    "elasticloadbalancing:CreateTargetGroup": ("elasticloadbalancing:AddTags",),
}
"""IAM actions that a call needs beside, or in place of, the one of its own name."""

REPLACED = ("s3:DeleteObjects",)
"""Calls whose own name is no action of IAM."""
