# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests share. Whatever of this is imported, the collection can be imported too."""

from __future__ import annotations

import collection_loader

collection_loader.register_collection()
