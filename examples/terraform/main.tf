# A function with everything around it, made by Terraform's AWS provider against Kiln:
#
#   terraform init && terraform apply -var endpoint=http://127.0.0.1:4566
#
# `change` alters what can be altered in place; apply it second to see an update.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  default = "http://127.0.0.1:4566"
}

variable "name" {
  default = "hello-terraform"
}

variable "runtime" {
  default = "python3.11"
}

variable "code" {
  description = "A zip file with index.py"
  default     = "function.zip"
}

variable "layer" {
  description = "A zip file with python/"
  default     = "layer.zip"
}

variable "change" {
  default = false
}

provider "aws" {
  region                  = "us-east-1"
  access_key              = "test"
  secret_key              = "test"
  skip_metadata_api_check = true
  endpoints {
    iam    = var.endpoint
    lambda = var.endpoint
    sts    = var.endpoint
  }
}

resource "aws_iam_role" "this" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_lambda_layer_version" "this" {
  layer_name          = var.name
  filename            = var.layer
  source_code_hash    = filebase64sha256(var.layer)
  compatible_runtimes = [var.runtime]
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  role                           = aws_iam_role.this.arn
  runtime                        = var.runtime
  handler                        = "index.handler"
  filename                       = var.code
  source_code_hash               = filebase64sha256(var.code)
  publish                        = true
  memory_size                    = var.change ? 256 : 128
  timeout                        = 5
  layers                         = [aws_lambda_layer_version.this.arn]
  reserved_concurrent_executions = var.change ? 20 : 10
  tags                           = { change = tostring(var.change) }
  environment {
    variables = { CHANGED = tostring(var.change) }
  }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
}

resource "aws_lambda_permission" "s3" {
  statement_id   = "FromTheBucket"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.this.function_name
  qualifier      = aws_lambda_alias.live.name
  principal      = "s3.amazonaws.com"
  source_arn     = "arn:aws:s3:::a-bucket"
  source_account = "000000000000"
}

resource "aws_lambda_function_event_invoke_config" "live" {
  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_retry_attempts       = var.change ? 0 : 1
  maximum_event_age_in_seconds = 120
}

resource "aws_lambda_provisioned_concurrency_config" "live" {
  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.change ? 2 : 1
}

resource "aws_lambda_function_url" "live" {
  function_name      = aws_lambda_function.this.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = var.change ? "AWS_IAM" : "NONE"
  cors {
    allow_origins = ["https://example.com"]
    max_age       = var.change ? 60 : 30
  }
}

output "url" {
  value = aws_lambda_function_url.live.function_url
}
