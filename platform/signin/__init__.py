"""How people come in: django-allauth behind one package; every sign-in leaves a record."""
