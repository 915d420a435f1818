# frozen_string_literal: true

# Only the classes: `socket.rb` adds what is not needed here.
require 'socket.so'

module KilnRuntime
  # The Runtime API over one kept connection.
  class Client
    BASE = '/2018-06-01/runtime/'
    IPPROTO_TCP = 6
    TCP_NODELAY = 1

    Event = Struct.new(:headers, :body) do
      def id
        headers['lambda-runtime-aws-request-id']
      end
    end

    class Gone < StandardError; end

    def initialize(address)
      @address = address
      host, _, port = address.rpartition(':')
      @socket = TCPSocket.new(host, port.to_i)
      @socket.binmode
      @socket.sync = true
      @socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
      @next = head('GET', 'invocation/next')
    end

    def next
      @socket.write(@next)
      read_event
    end

    # Answers an event and asks for the next in one write.
    def answer_and_next(event, kind, headers, body)
      @socket.write(post(event, kind, headers, body) << @next)
      check(*read)
      read_event
    end

    # Answers an event; returns when the server has the answer.
    def answer(event, kind, headers, body)
      @socket.write(post(event, kind, headers, body))
      check(*read)
    end

    def init_error(headers, body)
      @socket.write(head('POST', 'init/error', headers, body) << body)
      read
    end

    private

    def post(event, kind, headers, body)
      attempt = event.headers['lambda-runtime-invocation-id']
      # Newer servers name the attempt and want the name back.
      headers = { 'Lambda-Runtime-Invocation-Id' => attempt, **headers } if attempt
      body = body.b
      head('POST', "invocation/#{event.id}/#{kind}", headers, body) << body
    end

    def head(method, path, headers = {}, body = nil)
      text = +"#{method} #{BASE}#{path} HTTP/1.1\r\nHost: #{@address}\r\n"
      headers.each { |name, value| text << "#{name}: #{value}\r\n" }
      text << "Content-Length: #{body.bytesize}\r\n" if body
      (text << "\r\n").b
    end

    def read_event
      status, headers, body = read
      raise Gone, "no next event: #{status} #{body}" unless status == 200

      Event.new(headers, body)
    end

    # An answer that was too large or too late is the server's to report; only its failure ends us.
    def check(status, _headers, body)
      raise Gone, "the answer was refused: #{status} #{body}" if status >= 500
    end

    def read
      status = line[9, 3].to_i
      headers = {}
      until (text = line).empty?
        name, _, value = text.partition(':')
        headers[name.downcase] = value.strip
      end
      length = headers['content-length'].to_i
      body = length.zero? ? +'' : @socket.read(length)
      raise Gone, 'the Runtime API is gone' if body.nil? || body.bytesize < length

      [status, headers, body.force_encoding(Encoding::UTF_8)]
    end

    def line
      text = @socket.gets("\r\n")
      raise Gone, 'the Runtime API is gone' unless text&.end_with?("\r\n")

      text.chomp("\r\n").force_encoding(Encoding::UTF_8)
    end
  end
end
