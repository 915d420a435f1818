# frozen_string_literal: true

module KilnRuntime
  # An error as the caller sees it.  [Lambda guide: Ruby errors]
  class Fault
    FRAMES_MAX = 100
    # Errors whose class AWS names in the header; any other is the function's own.
    NAMED = %w[
      ArgumentError Exception LoadError NameError NoMethodError StandardError SystemExit SystemStackError
    ].freeze
    OURS = "#{File.dirname(__dir__)}/"

    # `phase` is `Function`, `Init` or `Runtime`.
    def initialize(error, phase)
      @error = error
      @phase = phase
    end

    def headers
      type = NAMED.include?(@error.class.to_s) ? "#{@phase}<#{@error.class}>" : 'Function<UserException>'
      { 'Content-Type' => 'application/json', 'Lambda-Runtime-Function-Error-Type' => type }
    end

    def body
      { errorMessage: clean(@error.message), errorType: clean("#{@phase}<#{@error.class}>"), stackTrace: trace }
    end

    private

    # Without the runtime's own frames, which are the outermost.
    def trace
      frames = @error.backtrace_locations || []
      mine = frames.first(FRAMES_MAX).take_while { |frame| !frame.path.to_s.start_with?(OURS) }
      mine.map { |frame| clean(frame.to_s) }
    end

    def clean(text)
      text = text.to_s
      text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub
    end
  end
end
