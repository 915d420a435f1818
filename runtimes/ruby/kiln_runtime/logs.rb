# frozen_string_literal: true

require 'logger'

module KilnRuntime
  # What `puts` and `Logger` write and where.  [Lambda guide: Ruby logging]
  module Logs
    TEXT_FRAME = 0xa55a0003
    JSON_FRAME = 0xa55a0002
    # Severities of `Logger`; the position is what marks the level in the type of a frame.
    LEVELS = { 'DEBUG' => 2, 'INFO' => 3, 'WARN' => 4, 'ERROR' => 5, 'FATAL' => 6 }.freeze

    class << self
      attr_accessor :request_id
      attr_reader :level

      def json?
        @json
      end

      # Reads how to log from the environment.
      def set_up
        @json = ENV['AWS_LAMBDA_LOG_FORMAT'].to_s.casecmp?('JSON')
        @level = LEVELS.key?(ENV['AWS_LAMBDA_LOG_LEVEL']) ? Logger.const_get(ENV['AWS_LAMBDA_LOG_LEVEL']) : Logger::DEBUG
        fd = ENV.delete('_LAMBDA_TELEMETRY_LOG_FD')
        $stdout.sync = true
        ::Logger.prepend(LoggerForEvents)
        return unless fd

        @frames = IO.for_fd(fd.to_i, 'wb').tap { |file| file.sync = true }
        @lock = Mutex.new
        # A message of several lines stays one message.
        ::Kernel.module_eval do
          def puts(*things)
            text = things.flatten.map { |thing| thing.to_s.encode(Encoding::UTF_8) }.join("\n")
            text += "\n" unless text.end_with?("\n")
            KilnRuntime::Logs.write(text)
            nil
          end
        end
      end

      def write(text, severity = nil)
        return $stdout.write(text) unless @frames

        kind = severity && @json ? JSON_FRAME : TEXT_FRAME
        kind |= LEVELS.fetch(severity, 0) << 2 if severity
        micros = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
        # One write: other processes may hold the file too.
        @lock.synchronize { @frames.write([kind, text.bytesize, micros].pack('L>L>Q>') << text.b) }
      end

      # Logs an error that ends an invocation or the process.
      def error(title, fault)
        return write("#{json_line('ERROR', Time.now, nil, fault.body)}\n", 'ERROR') if json?

        write("#{title}\n#{JSON.pretty_generate(fault.body)}\n")
      end

      def json_line(severity, time, progname, message)
        line = { timestamp: time.utc.strftime('%Y-%m-%dT%H:%M:%S.%LZ'), level: severity }
        line[:logger] = progname if progname
        line[:requestId] = request_id if request_id
        case message
        when Exception
          body = Fault.new(message, 'Function').body
          line.merge!(message: body[:errorMessage], errorType: message.class.to_s, stackTrace: message.backtrace || [])
        when Hash then line = line.merge(message)
        when String then line[:message] = message.scrub
        else line[:message] = message.inspect
        end
        JSON.generate(line)
      end
    end

    # `Logger`'s own format with the request's id, or one JSON object for each message.
    class Formatter < ::Logger::Formatter
      def call(severity, time, progname, message)
        return "#{Logs.json_line(severity, time, progname, message)}\n" if Logs.json?

        stamp = time.strftime(datetime_format || '%Y-%m-%dT%H:%M:%S.%6N')
        format("%s, [%s #%d] %5s %s -- %s: %s\n", severity[0], stamp, Process.pid, severity, Logs.request_id,
               progname, msg2str(message))
      end
    end

    # Where a logger for stdout or stderr writes in truth.
    class Sink < ::Logger::LogDevice
      def initialize; end

      def write(text)
        Logs.write(text, Thread.current[:kiln_severity])
      end

      def reopen(*) = self
      def close = nil
    end

    # Loggers for stdout and stderr write what the platform reads.
    module LoggerForEvents
      def initialize(device, *rest, level: Logs.json? ? Logs.level : ::Logger::DEBUG, formatter: nil, **options)
        shown = [nil, $stdout, $stderr, STDOUT, STDERR].any? { |known| device.equal?(known) }
        return super(device, *rest, level: level, formatter: formatter, **options) unless shown

        super(Sink.new, *rest, level: level, formatter: formatter || Formatter.new, **options)
      end

      def add(severity, *)
        Thread.current[:kiln_severity] = format_severity(severity || ::Logger::UNKNOWN)
        super
      ensure
        Thread.current[:kiln_severity] = nil
      end
      alias log add
    end
  end
end
