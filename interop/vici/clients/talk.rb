# Makes the calls that come as lines of JSON with strongSwan's Ruby library, and says as lines of JSON what it gives.
# Arguments: the folder with vici.rb, the path of the socket.
require 'json'
require 'socket'
require File.expand_path('vici', ARGV[0])

def plain(value)
  case value
  when Hash then value.map { |key, item| [text(key), plain(item)] }
  when Array then { list: value.map { |item| text(item) } }
  when nil then nil
  else text(value)
  end
end

def text(bytes)
  bytes.to_s.dup.force_encoding('ISO-8859-1').encode('UTF-8')
end

def perform(connection, step)
  call = step['call']
  method = call.tr('-', '_')
  if call == 'listen'
    step['events'].each do |name|
      handler = ->(_, _) {}
      connection.instance_variable_get(:@transp).register(name, handler)
      connection.instance_variable_get(:@transp).unregister(name, handler)
    end
    return []
  end
  return plain(connection.call(call, Vici::Message.new(step['message']))) unless connection.class.method_defined?(method)

  arguments = step.key?('message') ? [step['message']] : []
  # What wants a message and gets none has an empty one.
  arguments = [{}] if arguments.empty? && connection.method(method).arity == 1
  events = []
  result = connection.public_send(method, *arguments) { |event| events << plain(event) }
  events.empty? ? plain(result) : events + [plain(result)]
end

connection = Vici::Connection.new(UNIXSocket.new(ARGV[1]))
$stdin.each_line do |line|
  said = begin
    { result: perform(connection, JSON.parse(line)) }
  rescue StandardError => e
    { error: "#{e.class}: #{e.message}" }
  end
  puts JSON.generate(said)
  $stdout.flush
end
