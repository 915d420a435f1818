# frozen_string_literal: true

module AwsLambda
  # How events become objects and results become text. A function may replace either method.
  class Marshaller
    class << self
      def marshall_request(raw)
        raw['Content-Type'] == 'application/json' ? JSON.parse(raw.body) : raw.body
      end

      # Text, or an `IO` and its content type: what it holds is the answer.
      def marshall_response(result)
        case result
        when StringIO, IO then [result, 'application/unknown']
        else result.to_json
        end
      end
    end
  end
end

module KilnRuntime
  # What a function's own `marshall_request` looks at.
  Request = Struct.new(:headers, :body) do
    def [](name)
      headers[name.downcase]
    end
  end

  # The method that `_HANDLER` names: `file.method` or `file.Module::Class.method`.
  # [Lambda guide: Ruby handler]
  class Handler
    def initialize(name)
      parts = name.split('.')
      unless [2, 3].include?(parts.size)
        raise ArgumentError,
              "Invalid handler #{parts}, must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD where " \
              'FILENAME corresponds with an existing Ruby source file FILENAME.rb, CLASS is an optional ' \
              'module/class namespace and METHOD is a callable method. If using CLASS, METHOD must be a ' \
              'class-level method.'
      end
      @file = parts.first
      @owner = parts[1] if parts.size == 3
      @method = parts.last
    end

    def load
      require @file
    end

    # Returns the text of the answer and its content type.
    def call(event)
      input = AwsLambda::Marshaller.marshall_request(Request.new(event.headers, event.body))
      context = LambdaContext.new(event.headers)
      result = perform(input, context)
      text, type = AwsLambda::Marshaller.marshall_response(result)
      text = text.read if type == 'application/unknown'
      [text.to_s, type || 'application/json']
    end

    private

    def perform(input, context)
      if @owner
        Kernel.const_get(@owner).send(@method, event: input, context: context)
      else
        # Methods of a file belong to the main object.
        TOPLEVEL_BINDING.receiver.__send__(@method, event: input, context: context)
      end
    end
  end
end
