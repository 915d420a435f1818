# frozen_string_literal: true

require 'json'
require 'stringio'
require_relative 'context'
require_relative 'fault'
require_relative 'handler'
require_relative 'logs'

module KilnRuntime
  # What AWS's own runtime brings; here it is loaded by whoever names it.
  LAZY = { Net: 'net/http', URI: 'uri' }.freeze

  # One event after another.
  class Loop
    # How the process ends: a handler that was not there or ended it, an answer that was refused, a handler
    # that could not be loaded.
    EXIT_CRITICAL = 255
    EXIT_RUNTIME = 254
    EXIT_INIT = 252

    def run
      LAZY.each { |name, file| Object.autoload(name, file) unless Object.const_defined?(name, false) }
      set_paths
      Logs.set_up
      @client = Client.new(ENV.fetch('AWS_LAMBDA_RUNTIME_API'))
      handler = load_handler
      serve(handler, @client.next)
    rescue Client::Gone, SystemCallError => e
      warn e.message
      exit(EXIT_RUNTIME)
    end

    private

    # The function's own code is looked at first, then what the host's Ruby has.
    def set_paths
      root = Dir.pwd
      $LOAD_PATH.unshift(root) unless $LOAD_PATH.include?(root)
      # The C library may not know the locale of AWS's image.
      Encoding.default_external = Encoding::UTF_8 if Encoding.default_external == Encoding::US_ASCII
      return unless defined?(Gem) && ENV.key?('GEM_PATH')

      version = RbConfig::CONFIG['ruby_version']
      own = %W[#{root}/vendor/bundle/ruby/#{version} /opt/ruby/gems/#{version}]
      Gem.paths = { 'GEM_HOME' => ENV['GEM_HOME'], 'GEM_PATH' => [ENV['GEM_PATH'], *own, *Gem.default_path].join(':') }
    end

    def load_handler
      handler = Handler.new(ENV.fetch('_HANDLER'))
      handler.load
      handler
    rescue Exception => e # whatever the function's code raises
      fault = Fault.new(e, 'Init')
      Logs.error('Init error when loading handler ', fault)
      @client.init_error(fault.headers, JSON.generate(fault.body))
      exit(EXIT_INIT)
    end

    def serve(handler, event)
      loop do
        Logs.request_id = $_global_aws_request_id = event.id
        trace = event.headers['lambda-runtime-trace-id']
        ENV['_X_AMZN_TRACE_ID'] = trace if trace
        kind, headers, body = handle(handler, event)
        event = @client.answer_and_next(event, kind, headers, body)
      end
    end

    def handle(handler, event)
      text, type = handler.call(event)
      ['response', { 'Content-Type' => type }, text]
    rescue NameError => e
      critical(event, e)
    rescue StandardError => e
      fault = Fault.new(e, 'Function')
      Logs.error('Error raised from handler method', fault)
      ['error', fault.headers, JSON.generate(fault.body)]
    rescue Exception => e # the process cannot be trusted any more
      critical(event, e)
    end

    # A method that is missing ends the process, as does what is no `StandardError`.
    def critical(event, error)
      fault = Fault.new(error, 'Function')
      Logs.error('Critical exception from handler', fault)
      @client.answer(event, 'error', fault.headers, JSON.generate(fault.body))
      exit(EXIT_CRITICAL)
    end
  end
end
