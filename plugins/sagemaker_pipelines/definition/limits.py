"""What SageMaker's API requires of a definition apart from the arguments of its steps: names and lengths.

The values come from the service model in botocore 1.43.117; each comment names the shape.
"""

from __future__ import annotations

import re

#: PipelineDefinition: at most this many characters inline; a longer definition is passed by its S3 location.
MAX_INLINE_DEFINITION = 1_048_576

#: StepName
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")

#: PipelineParameterName
PARAMETER_NAME = re.compile(r"[A-Za-z0-9\-_]{1,256}")

#: FailStepMetadata.ErrorMessage
MAX_ERROR_MESSAGE = 3072
