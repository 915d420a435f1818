# frozen_string_literal: true

# Greets. `@calls` lives as long as the environment: it counts warm calls.

require 'logger'

LOG = Logger.new($stdout)

def handler(event:, context:)
  @calls = @calls.to_i + 1
  name = event.fetch('name', 'world')
  LOG.info("greeting #{name}, call #{@calls}")
  {
    message: "#{ENV.fetch('GREETING', 'Hello')}, #{name}, from Ruby",
    calls: @calls,
    request: context.aws_request_id
  }
end
