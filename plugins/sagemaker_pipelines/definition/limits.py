"""What SageMaker's API demands of a definition beside its steps' arguments: names and lengths.

From the service model that botocore 1.43.117 ships; the shapes' names are given.
"""

from __future__ import annotations

import re

#: PipelineDefinition: at most this many characters inline; a longer one goes by its S3 location.
MAX_INLINE_DEFINITION = 1_048_576

#: StepName
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")

#: PipelineParameterName
PARAMETER_NAME = re.compile(r"[A-Za-z0-9\-_]{1,256}")

#: FailStepMetadata.ErrorMessage
MAX_ERROR_MESSAGE = 3072
